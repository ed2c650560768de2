"""Who runs the fits: the inbox, the dispatcher, the service and the command line. Imported by nobody but its doors."""
