"""The benchmark as a grid: tasks by lengths by trials, learned side by side and resumed."""
