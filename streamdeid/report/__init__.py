"""Room 4: scores → what people read."""
