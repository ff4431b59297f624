// Shows a label image (0 background, 1, 2, ... objects) with different colours for neighbouring labels, each object outlined.
// Argument "overlay": outlines only as overlay, as needed without a screen; otherwise also in the ROI Manager.
// Returns the number of outlines. Works on 8-, 16- and 32-bit images and on stacks, plane by plane.

var MANAGER = true; // whether outlines go to the ROI Manager
var MOST = 10000000; // the largest label
var count = 0;
var original = 0;
var largest = 0;

if (getArgument() == "overlay")
    MANAGER = false;
if (nImages == 0)
    exit("No image is open: open a label image first.");
if (bitDepth() == 24)
    exit("This is a colour image: open the label image itself.");
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
if (largest > MOST)
    exit("The largest label is " + largest + ": number the labels anew, e.g. with MorphoLibJ's Remap Labels.");
original = getImageID();
for (s = 1; s <= nSlices; s++) {
    setSlice(s);
    outlineAll(s);
}
resetThreshold();
if (nSlices > 1)
    setSlice(1);
colours();
setMinAndMax(0, maxOf(255, largest));
Overlay.show();
return "" + count;

// Outlines each label of the shown plane. The pixels are read once; then each object takes as long as its own outline or, with holes
// or in several pieces, as its own rectangle.
function outlineAll(s) {
    getDimensions(width, height, channels, slices, frames);
    sizes = newArray(largest + 1);
    firstX = newArray(largest + 1);
    firstY = newArray(largest + 1);
    left = newArray(largest + 1);
    right = newArray(largest + 1);
    bottom = newArray(largest + 1);
    for (y = 0; y < height; y++) {
        label = 0;
        from = 0;
        for (x = 0; x <= width; x++) { // beyond the last pixel, 0 or no number ends the last label
            if (getPixel(x, y) != label) {
                if (label > 0) {
                    if (sizes[label] == 0) {
                        firstX[label] = from;
                        firstY[label] = y;
                        left[label] = from;
                    }
                    left[label] = minOf(left[label], from);
                    right[label] = maxOf(right[label], x - 1);
                    bottom[label] = y;
                    sizes[label] += x - from;
                }
                label = getPixel(x, y);
                if (label != floor(label))
                    label = 0;
                from = x;
            }
        }
        if (y % 100 == 0)
            showProgress(y, height);
    }
    for (label = 1; label <= largest; label++) {
        if (sizes[label] > 0) {
            doWand(firstX[label], firstY[label], 0, "8-connected");
            getRawStatistics(pixels);
            if (pixels != sizes[label])
                selectPieces(label, left[label], firstY[label], right[label] - left[label] + 1, bottom[label] - firstY[label] + 1);
            Roi.setName(IJ.pad(label, 4));
            if (nSlices > 1)
                Roi.setPosition(s);
            Overlay.addSelection("white");
            if (MANAGER)
                roiManager("add");
            count++;
            if (label % 100 == 0)
                showProgress(label, largest);
        }
    }
    run("Select None");
}

// Selects all pixels of a label inside its rectangle, whatever its holes and pieces
function selectPieces(label, x, y, width, height) {
    makeRectangle(x, y, width, height);
    run("Duplicate...", "title=rectangle");
    setThreshold(label - 0.25, label + 0.25);
    run("Create Selection");
    getSelectionBounds(inX, inY, w, h);
    run("Select None");
    close();
    selectImage(original);
    run("Restore Selection");
    setSelectionLocation(x + inX, y + inY);
}

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
