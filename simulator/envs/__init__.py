"""The Gymnasium environments: the dream and the reference world behind one set of spaces and info keys.

Nothing is imported here: `simulator` registers the environments by name and each loads on demand.
"""
