"""The data sets as their owners publish them: layouts checked, faces listed and read.

Host side: numpy, OpenCV and scipy. One file per data set; each has ``find_…``, which checks the
folder and lists its faces in a fixed order, and ``read_…``, which reads one face.
"""
