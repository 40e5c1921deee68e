"""Work that happens later: found in the store, done under a lease, lost by no crash."""
