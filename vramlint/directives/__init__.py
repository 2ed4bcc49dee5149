"""What a file's comments tell vramlint: which cards and dialect it is for, and which findings are taken back."""
