"""What an owner does with the data as a whole: a person's out and gone, a backup and back. Nothing here prints."""
