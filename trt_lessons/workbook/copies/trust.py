"""Jupyter's trust in a notebook, carried over a merge: in one that is not trusted, figures lose their look in the dark.

Jupyter trusts what was run here: it signs the file when it saves. A merge writes the file anew, and its outputs are
those that were signed: a newer lesson brings none.
"""

from __future__ import annotations

HTML = b'"text/html"'  # nothing else that the lessons show depends on trust


def carry_over(before: bytes, after: bytes) -> None:
    """Sign the notebook `after` if `before`, which it was made of, was trusted; quiet where Jupyter's keys are not."""
    if HTML not in before:
        return
    try:
        import nbformat
        from nbformat.sign import NotebookNotary

        notary = NotebookNotary()
        if notary.check_signature(nbformat.reads(before.decode(), as_version=4)):
            notary.sign(nbformat.reads(after.decode(), as_version=4))
    except Exception:  # no key, no database, no valid notebook: then it is shown as any notebook from elsewhere
        return
