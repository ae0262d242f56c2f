"""Tables, figures and pages made of what runs left on disk; nothing here is measured anew."""
