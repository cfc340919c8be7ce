class Refused(SystemExit):
    """Bad input or wrong use, in one sentence. Where nothing catches it, the script ends with that sentence and status 1."""
