"""What a run leaves on disk: journal, results, resuming."""
