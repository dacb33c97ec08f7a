"""The workbook in another language: the prose of its lessons, what is not in step, its messages."""
