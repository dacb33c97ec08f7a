"""The lessons as files: exercises, learners' copies, a class, execution, the source document's calls."""
