"""What is done to the files themselves: fixes, comments that take findings back, and writing them back whole or not at all."""
