"""A face as a page of this machine, and the server of it."""
