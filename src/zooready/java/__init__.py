"""The JVM: a runtime, the engines' jars, and the child process that runs them.

May import: errors
"""
