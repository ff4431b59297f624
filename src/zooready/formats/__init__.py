"""One file per weight format: write() and load().

May import: records
"""
