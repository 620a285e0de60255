"""The commands as typer sees them: arguments, options and help. Each imports what it does when it is run."""
