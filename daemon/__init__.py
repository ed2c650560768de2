"""Who runs the fits: inbox, dispatcher, service and command line. Imported by nobody but its doors."""
