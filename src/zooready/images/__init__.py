"""Reading, writing, drawing and comparing images: with a true image, object by object, or with an expected output.

In: files and arrays. Out: an Image with named axes and calibration, RGB images for display, and measures of similarity.

May import: nothing
"""
