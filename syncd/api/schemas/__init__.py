"""What requests may hold and what answers hold, for validation and for `/openapi.json`: one module a noun."""
