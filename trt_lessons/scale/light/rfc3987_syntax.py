"""Stands before a package of this name on the path of Ray's processes (see `cluster.quick`), and is not there.

Ray imports jsonschema in each of its processes, and jsonschema the grammar of international addresses where some other
package has brought it: a second of work per process, for a check that none of them makes.
"""

raise ImportError("left out of Ray's processes")
