"""What the PLCNN paper claims, for the card to show beside what was measured here."""

CLAIMS = (  # per cent correct, from the figures "CNNvsMachine" and "PLCNNvsTCNN" in the authors' repository
    {"method": "SVM-SubLoc", "HeLa": 99.7, "LOCATE endogenous": 99.8, "LOCATE transfected": 98.7},
    {"method": "ETAS-SubLoc", "LOCATE endogenous": 99.2, "LOCATE transfected": 91.8},
    {"method": "IEH-GT", "CHO": 99.7},
    {"method": "GoogleNet", "HeLa": 92.0, "CHO": 91.0},
    {"method": "M-CNN", "HeLa": 91.0, "CHO": 94.0},
    {"method": "AlexNet", "HeLa": 85.1, "Yeast": 80.9},
    {"method": "ResNet", "HeLa": 86.5, "Yeast": 81.5},
    {"method": "DenseNet", "HeLa": 87.9, "Yeast": 81.7},
    {"method": "DeepYeast", "Yeast": 91.0},
    {"method": "PLCNN", "HeLa": 93.0, "CHO": 100.0, "LOCATE endogenous": 99.8, "LOCATE transfected": 99.6, "Yeast": 91.0},
    {"method": "PLCNN, by its own confusion matrix", "Yeast": 80.2},
)
NOTES = (
    "The 91.0 % that the paper claims for the Yeast set are contradicted by the paper's own confusion matrix of it, which gives 80.2 %.",
    "On HeLa the paper's own table has SVM-SubLoc ahead of PLCNN, 99.7 % to 93.0 %.",
    "Sources of the claims: Tahir et al. 2021, doi:10.1007/s00521-021-06715-y, arXiv:1910.04287, and the figures in "
    "https://github.com/saeed-anwar/PLCNN, which holds neither code nor weights. None of these numbers was measured here.",
    "Numbers on simulated cells compare methods on these cells only; they say nothing about real data sets.",
)
