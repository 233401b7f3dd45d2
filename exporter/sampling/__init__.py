"""What is hot: counts and observed time become rates with error bars."""
