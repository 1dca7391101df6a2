"""What happens to versions after they were published: labels, rollback, pruning."""
