"""An open folder: the file's name is the command's, its `command` is a click command. Heavy imports belong inside it."""
