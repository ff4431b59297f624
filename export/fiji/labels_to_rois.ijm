// Shows a label image (0 background, 1, 2, ... objects) with different colours for neighbouring labels, each object outlined.
// Argument "overlay": outlines only as overlay, as needed without a screen; otherwise also in the ROI Manager.
// Returns the number of outlines. Works on 8-, 16- and 32-bit images and on stacks, plane by plane.

manager = true;
if (getArgument() == "overlay")
    manager = false;
if (nImages == 0)
    exit("No image is open: open a label image first.");
if (bitDepth() == 24)
    exit("This is a colour image: open the label image itself.");
largest = 0;
for (s = 1; s <= nSlices; s++) {
    setSlice(s);
    getStatistics(area, mean, min, max);
    if (min < 0 || isNaN(max))
        exit("This is not a label image: it has values below 0, or no values.");
    largest = maxOf(largest, max);
}
setOption("ScaleConversions", false);
if (largest <= 255)
    run("8-bit"); // the only type whose colours are saved in a TIFF
else if (largest <= 65535)
    run("16-bit");
setOption("ScaleConversions", true);
run("Remove Overlay");
count = 0;
for (s = 1; s <= nSlices; s++) {
    setSlice(s);
    getStatistics(area, mean, min, max);
    for (label = 1; label <= max; label++) {
        setThreshold(label - 0.25, label + 0.25);
        run("Create Selection");
        if (selectionType() != -1) {
            Roi.setName(IJ.pad(label, 4));
            if (nSlices > 1)
                Roi.setPosition(s);
            Overlay.addSelection("white");
            if (manager)
                roiManager("add");
            count++;
        }
        run("Select None");
    }
}
resetThreshold();
if (nSlices > 1)
    setSlice(1);
colours();
setMinAndMax(0, maxOf(255, largest));
Overlay.show();
return "" + count;

// 255 colours separated by the golden angle, alternately light and dark, on black
function colours() {
    reds = newArray(256);
    greens = newArray(256);
    blues = newArray(256);
    for (i = 1; i < 256; i++) {
        hue = (i * 0.61803398875) % 1;
        value = 255 - 45 * (i % 3);
        saturation = 0.95 - 0.25 * (i % 2);
        sector = floor(hue * 6);
        f = hue * 6 - sector;
        p = value * (1 - saturation);
        q = value * (1 - f * saturation);
        t = value * (1 - (1 - f) * saturation);
        if (sector == 0) { r = value; g = t; b = p; }
        else if (sector == 1) { r = q; g = value; b = p; }
        else if (sector == 2) { r = p; g = value; b = t; }
        else if (sector == 3) { r = p; g = q; b = value; }
        else if (sector == 4) { r = t; g = p; b = value; }
        else { r = value; g = p; b = q; }
        reds[i] = round(r);
        greens[i] = round(g);
        blues[i] = round(b);
    }
    setLut(reds, greens, blues);
}
