"""Where outputs are: a folder, or a URL and the desk that works on it."""
