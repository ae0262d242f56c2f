"""Tables, figures and pages from the files of runs; nothing is measured again."""
