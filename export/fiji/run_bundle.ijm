// Runs ${name} on the open image, or on its sample image if none is open, and shows the outputs.
// Needs Fiji with the update site DeepImageJ. Written by zooready install from export/fiji/run_bundle.ijm.
// Without a screen: the argument "image|folder" runs a file and writes its results into the folder; "image|folder|30" does so for objects
// of 30 pixels, which on a screen the macro asks for: the image is scaled so that the network sees them in the size that it knows best.
// "image|folder|auto" scales the image to the pixel size that the network was trained for, which on a screen the macro offers.
// "image|folder|1.4|520" tells numerical aperture and emission wavelength in nanometres, for which on a screen the macro asks where the
// network takes blur away: the image is scaled so that it sees a blur that it takes away well.
// DeepImageJ loses planes of images with several axes. So it is handed one piece at a time, a plane or, for a network of stacks,
// a stack, and the results are put together again in the order of the image.

var ID = "${id}";
var SAMPLE = "${sample}";
var TAKES_Z = ${z}; // whether the input is a stack
var TAKES_T = ${t}; // whether it is a time series
var PLANES = newArray(${planes}); // of the input: the least, and in which steps (0: exactly that many)
var OUTPUTS = newArray(${outputs});
var KINDS = newArray(${kinds}); // image, labels or scores
var NAMES = newArray(${names}); // of each output's channels
var CHANNELS = ${channels}; // of the input
var TAKEN = newArray(${taken}); // their names
var RANGE = "${range}"; // pixel sizes and distance of planes in micrometres that the network was trained for; 0 if unknown
var LIMITS = newArray(${limits}); // of channels that hold no light: number, name, smallest and largest value that it was trained for
// Of a network that takes blur away, wavelength / (NA x pixel size) in pixels, "" for others: the smallest and the largest; that below which
// images are scaled, and the one that the network then sees; that above which they are scaled, and the one that it then sees
var BLUR = "${blur}";
var FINER = ${finer}; // whether results of an enlarged image stay enlarged, because they show more than the image's own pixels could
var STACKS = ${stacks}; // whether an output is a stack made of a plane
var MADE = ${made}; // the distance of such planes in micrometres; 0 if unknown
var DIAMETERS = "${diameters}"; // "smallest|largest" width in pixels of the objects that it was trained to find; "" if it finds none
var LIMIT = 50331648; // elements; DeepImageJ hangs on larger pieces
var HERE = "";

HERE = home();
argument = getArgument();
if (argument == "")
    onScreen();
else
    onFiles(split(argument, "|"));
return "OK";

function onScreen() {
    if (nImages == 0 && SAMPLE == "")
        exit("No image is open: open one first.");
    if (nImages == 0)
        open(HERE + SAMPLE);
    image = getImageID();
    title = getTitle();
    warning = check();
    factor = factorOfPixels();
    if (factor != 1) {
        if (!getBoolean(warning + "\nScale the image to the network's pixels?", "Scale", "Leave it as it is"))
            factor = 1;
    } else if (warning != "")
        showMessageWithCancel("${name}", warning + "\nContinue?");
    if (DIAMETERS != "" && factor == 1)
        factor = factorOfObjects(asked());
    if (BLUR != "" && factor == 1)
        factor = askedFactorOfBlur();
    pieces = folderOfPieces();
    count = throughScaled(image, pieces, factor);
    for (k = 0; k < OUTPUTS.length; k++) {
        assemble(image, pieces, count, k);
        rename(title + " " + OUTPUTS[k]);
        if (KINDS[k] == "scores") {
            other("scores_to_table.ijm", NAMES[k]);
            close();
        } else
            named(NAMES[k]);
        if (KINDS[k] == "labels")
            other("labels_to_rois.ijm", "");
    }
    removeAll(pieces);
}

function onFiles(parts) {
    setBatchMode(true);
    path = slashed(parts[0]);
    out = slashed(parts[1]);
    out = out + "/";
    File.makeDirectory(out);
    open(path);
    image = getImageID();
    warning = check();
    if (warning != "")
        print(warning);
    stem = replace(File.getNameWithoutExtension(path), " ", "_");
    if (lengthOf(stem) > 4 && endsWith(toLowerCase(stem), ".ome")) // of an OME-TIFF
        stem = substring(stem, 0, lengthOf(stem) - 4);
    factor = 1;
    if (parts.length > 2) {
        if (parts[2] == "auto")
            factor = factorOfPixels();
        else if (parts.length > 3)
            factor = factorOfBlur(parseFloat(parts[2]), parseFloat(parts[3]));
        else
            factor = factorOfObjects(parseFloat(parts[2]));
    }
    pieces = folderOfPieces();
    count = throughScaled(image, pieces, factor);
    for (k = 0; k < OUTPUTS.length; k++) {
        written = out + stem + "_" + OUTPUTS[k];
        assemble(image, pieces, count, k);
        if (KINDS[k] != "scores")
            named(NAMES[k]);
        saveAs("Tiff", written + ".tif");
        if (KINDS[k] == "scores") {
            names = "" + NAMES[k] + "|" + written + ".csv";
            other("scores_to_table.ijm", names);
        }
        if (KINDS[k] == "labels") {
            other("labels_to_rois.ijm", "overlay");
            saveAs("Tiff", written + "-outlined.tif");
        }
        close();
    }
    removeAll(pieces);
    selectImage(image);
    close();
    setBatchMode(false);
}

// Ends the macro if the image cannot be used; returns a warning if results may be poor
function check() {
    getDimensions(width, height, channels, slices, frames);
    if (bitDepth() == 24)
        channels = 3;
    if (channels != CHANNELS)
        exit("${name} takes " + amount(CHANNELS, "channel") + ", but this image has " + channels + ": use Image > Duplicate to select the right ones.");
    checkNames(channels);
    if (width < 2 || height < 2)
        exit("This image is " + width + " x " + height + ", but DeepImageJ takes no images that are one pixel wide or high: use zooready predict.");
    if (TAKES_Z)
        checkStack(slices, frames);
    if (slices > 1 && !TAKES_Z && STACKS)
        exit("${name} makes a stack of every plane, but this image is a stack already: use Image > Duplicate to select one plane.");
    elements = width * height * channels;
    if (TAKES_Z)
        elements = elements * slices;
    if (TAKES_T)
        elements = elements * frames;
    if (elements > LIMIT)
        exit("This image has " + elements + " elements, but DeepImageJ hangs above " + LIMIT
            + ": use zooready predict in a terminal, or crop it.");
    warning = checkValues(channels, slices * frames);
    if (RANGE == "")
        return warning;
    sizes = other("check_pixel_size.ijm", RANGE); // a function cannot return another function's value directly
    if (sizes != "" && warning != "")
        sizes = sizes + " ";
    return sizes + warning;
}

// Ends the macro if a channel is called like another one of the network, which takes them by their order
function checkNames(channels) {
    if (TAKEN.length != channels || channels < 2 || nSlices < channels)
        return;
    for (c = 0; c < channels; c++) {
        label = toLowerCase(Property.getSliceLabel(c + 1));
        for (k = 0; k < channels; k++) {
            if (k != c && label == toLowerCase(TAKEN[k]) && label != toLowerCase(TAKEN[c]))
                exit("Channel " + (c + 1) + " of this image is called " + label + ", and ${name} takes that one as channel " + (k + 1)
                    + ": put the channels into its order with Image > Color > Arrange Channels, and correct their labels with Image > Stacks > Set Label.");
        }
    }
}

// A warning if a channel that holds no light has values that the network was not trained for
function checkValues(channels, planes) {
    warning = "";
    shown = getSliceNumber();
    if (LIMITS.length > 0)
        run("Select None");
    for (k = 0; k < LIMITS.length; k += 4) {
        low = LIMITS[k + 2];
        high = LIMITS[k + 3];
        smallest = 1 / 0;
        largest = -1 / 0;
        for (n = 0; n < planes; n++) {
            setSlice(n * channels + LIMITS[k]);
            getStatistics(area, mean, min, max);
            smallest = minOf(smallest, min);
            largest = maxOf(largest, max);
        }
        if (warning != "")
            warning = warning + " ";
        if (smallest < low || largest > high)
            warning = warning + "Channel " + LIMITS[k] + " (" + LIMITS[k + 1] + ") has values from " + smallest + " to " + largest
                + ", but the network was trained for " + low + " to " + high + ": where it lies beyond, the result is of no use.";
    }
    if (LIMITS.length > 0)
        setSlice(shown);
    return warning;
}

// A network of stacks gets whole stacks only, of a depth that it takes
function checkStack(slices, frames) {
    if (slices == 1 && frames > 1)
        exit("${name} takes stacks (z), but the planes of this image are stored as time (" + frames
            + " frames): if they are a stack, exchange slices and frames in Image > Properties.");
    if (slices == 1 && !(PLANES[0] == 1 && PLANES[1] == 0))
        exit("${name} takes stacks, but this image is a single plane: open the whole stack.");
    if (PLANES[1] == 0 && slices != PLANES[0])
        exit("${name} takes exactly " + amount(PLANES[0], "plane") + ", but this image has " + slices + ": use Image > Duplicate to select them.");
    if (PLANES[1] > 0 && (slices < PLANES[0] || (slices - PLANES[0]) % PLANES[1] != 0))
        exit("${name} takes " + amount(PLANES[0], "plane") + " or more, in steps of " + PLANES[1] + ", but this image has " + slices
            + ": use Image > Duplicate to select as many.");
}

// The width of a typical object in pixels, 0 for an image that is to be seen as it is
function asked() {
    known = split(DIAMETERS, "|");
    return getNumber("Width of a typical object in pixels; 0: as it is (known: " + known[0] + " to " + known[1] + ")", 0);
}

// The factor that brings objects of this width into the middle of the sizes that the network knows
function factorOfObjects(diameter) {
    if (DIAMETERS == "" || isNaN(diameter) || diameter <= 0)
        return 1;
    known = split(DIAMETERS, "|");
    return sqrt(parseFloat(known[0]) * parseFloat(known[1])) / diameter;
}

// Asks for the objective and the dye; 0 leaves the image as it is
function askedFactorOfBlur() {
    known = split(BLUR, "|");
    Dialog.create("${name}");
    Dialog.addMessage("The network takes away a blur, wavelength / (NA x pixel size), of " + known[0] + " to " + known[1] + " pixels.");
    Dialog.addNumber("Numerical aperture (0: unknown)", 0, 2, 6, "");
    Dialog.addNumber("Emission wavelength (0: unknown)", 0, 0, 6, "nm");
    Dialog.show();
    na = Dialog.getNumber();
    nanometres = Dialog.getNumber();
    if (na == 0 || nanometres == 0)
        return 1;
    return factorOfBlur(na, nanometres);
}

// The factor that brings the blur of the image to one that the network takes away well (zooready predict does the same); says what it is
function factorOfBlur(na, nanometres) {
    if (BLUR == "")
        exit("${name} does not say which blur it takes away: leave out numerical aperture and wavelength.");
    if (isNaN(na) || isNaN(nanometres) || na <= 0 || na > 1.7 || nanometres < 100 || nanometres > 3000)
        exit("Give the numerical aperture of the objective, up to 1.7, and the emission wavelength in nanometres, 100 to 3000.");
    getVoxelSize(width, height, depth, unit);
    side = parseFloat(other("check_pixel_size.ijm", "unit"));
    side = side * width;
    if (side == 0)
        exit("This image has no pixel size in micrometres, from which its blur in pixels follows: set it in Image > Properties.");
    known = split(BLUR, "|");
    blur = nanometres / 1000 / na / side;
    factor = 1;
    if (blur < parseFloat(known[2]))
        factor = parseFloat(known[3]) / blur;
    else if (blur > parseFloat(known[4]))
        factor = parseFloat(known[5]) / blur;
    message = "The image's blur is " + d2s(blur, 2) + " pixels; the network takes away " + known[0] + " to " + known[1] + ".";
    if (factor != 1)
        message = message + " It sees the image " + d2s(factor, 3) + " times as large.";
    print(message);
    return factor;
}

// The factor that brings the pixels into the middle of the sizes that the network was trained for; 1 if they are inside, or unknown
function factorOfPixels() {
    if (RANGE == "")
        return 1;
    known = split(RANGE, "|");
    low = parseFloat(known[0]);
    high = parseFloat(known[1]);
    getVoxelSize(width, height, depth, unit);
    side = parseFloat(other("check_pixel_size.ijm", "unit"));
    side = side * width;
    isSquare = abs(width - height) <= 0.01 * maxOf(width, height);
    if (high == 0 || side == 0 || !isSquare || (side >= low * 0.99 && side <= high * 1.01))
        return 1;
    return side / sqrt(low * high);
}

// Runs the network on the image, or on a copy that is scaled by this factor
function throughScaled(image, pieces, factor) {
    if (factor == 1)
        return through(image, pieces);
    if (factor > 32 || factor < 1 / 32)
        exit("The image would be scaled by " + factor + ": correct its pixel size, or the width of its objects.");
    selectImage(image);
    getDimensions(width, height, channels, slices, frames);
    width = maxOf(2, round(width * factor));
    height = maxOf(2, round(height * factor));
    elements = width * height * channels;
    if (TAKES_Z)
        elements = elements * slices;
    if (TAKES_T)
        elements = elements * frames;
    if (elements > LIMIT)
        exit("The image would be scaled to " + width + " x " + height + " pixels, and DeepImageJ hangs above " + LIMIT
            + " elements: use zooready predict in a terminal, or crop it.");
    run("Select None");
    if (nSlices > 1)
        run("Duplicate...", "title=scaled duplicate");
    else
        run("Duplicate...", "title=scaled");
    scaled = getImageID();
    way = "Bilinear";
    if (FINER && factor < 1)
        way = "Bicubic"; // sharper, which mrbcr's results need
    run("Size...", "width=" + width + " height=" + height + " average interpolation=" + way);
    count = through(scaled, pieces);
    selectImage(scaled);
    close();
    return count;
}

// Runs DeepImageJ on each piece of the image; success is judged by the files that it writes, because it reports no errors to a macro.
// Returns the number of pieces; their results are <pieces>/<number>_<output>.tif, the planes of a time point following each other.
function through(image, pieces) {
    selectImage(image);
    getDimensions(width, height, channels, slices, frames);
    inTurn = slices;
    if (TAKES_Z)
        inTurn = 1;
    count = inTurn;
    if (!TAKES_T)
        count = inTurn * frames;
    for (n = 0; n < count; n++) {
        z = newArray(1, slices);
        t = newArray(1, frames);
        if (!TAKES_Z)
            z = newArray(n % inTurn + 1, n % inTurn + 1);
        if (!TAKES_T)
            t = newArray(floor(n / inTurn) + 1, floor(n / inTurn) + 1);
        path = pieces + n + ".tif";
        savePiece(image, z, t, path);
        run("DeepImageJ Run", "model_path=[" + HERE + "] input_path=[" + path + "] output_folder=[" + pieces + "] display_output=null");
        for (k = 0; k < OUTPUTS.length; k++)
            if (!File.exists(pieces + n + "_" + OUTPUTS[k] + ".tif"))
                exit("DeepImageJ wrote no output '" + OUTPUTS[k] + "': see Window > Console for the reason.");
        showProgress(n + 1, count);
    }
    return count;
}

// Saves all channels of the slices z[0] to z[1] and frames t[0] to t[1] as an image of their own, with the values that ImageJ shows
function savePiece(image, z, t, path) {
    selectImage(image);
    getDimensions(width, height, channels, slices, frames);
    run("Select None");
    options = "title=piece";
    if (Stack.isHyperstack)
        options = options + " duplicate channels=1-" + channels + " slices=" + z[0] + "-" + z[1] + " frames=" + t[0] + "-" + t[1];
    else if (nSlices > 1) {
        from = ((t[0] - 1) * slices + z[0] - 1) * channels + 1;
        to = ((t[1] - 1) * slices + z[1]) * channels;
        options = options + " duplicate range=" + from + "-" + to;
    }
    run("Duplicate...", options);
    if (nSlices > 1)
        Stack.setDimensions(channels, z[1] - z[0] + 1, t[1] - t[0] + 1);
    if (bitDepth() < 24 && (calibrate(0) != 0 || calibrate(1) != 1)) // e.g. signed 16 bits
        run("32-bit");
    saveAs("Tiff", path);
    close();
}

// Opens an output of all pieces as one image, with the calibration of the image that it is from
function assemble(image, pieces, count, k) {
    if (count == 1)
        open(pieces + "0_" + OUTPUTS[k] + ".tif");
    else
        join(image, pieces, count, k);
    output = getImageID();
    getDimensions(x, y, c, z, t);
    if (x < 2 && y < 2)
        return;
    selectImage(image);
    getDimensions(wide, high, c, slices, frames);
    finer = 1;
    if (FINER && BLUR == "" && KINDS[k] == "image" && x > wide) // the image was enlarged, and what was restored stays so
        finer = wide / x;
    else if (x != wide || y != high) { // the image was scaled
        way = "Bilinear";
        if (KINDS[k] == "labels")
            way = "None";
        else if (FINER)
            way = "Bicubic";
        selectImage(output);
        run("Size...", "width=" + wide + " height=" + high + " interpolation=" + way);
        selectImage(image);
    }
    getVoxelSize(width, height, depth, unit);
    interval = Stack.getFrameInterval();
    Stack.getUnits(unitX, unitY, unitZ, unitT, unitValue);
    micrometres = parseFloat(other("check_pixel_size.ijm", "unit"));
    if (slices == 1 && z > 1 && MADE > 0) {
        depth = MADE;
        unitZ = "micron";
        if (micrometres > 0) {
            depth = MADE / micrometres;
            unitZ = unitX;
        }
    }
    selectImage(output);
    setVoxelSize(width * finer, height * finer, depth, unit);
    Stack.setZUnit(unitZ); // of an image without a pixel size, or with another unit along z
    if (t > 1) {
        Stack.setFrameInterval(interval);
        Stack.setTUnit(unitT);
    }
}

// Puts the results of all pieces into one image in the order of the image: channels, slices, frames
function join(image, pieces, count, k) {
    selectImage(image);
    getDimensions(width, height, channels, slices, frames);
    inTurn = slices;
    if (TAKES_Z)
        inTurn = 1;
    for (n = 0; n < count; n++) {
        open(pieces + n + "_" + OUTPUTS[k] + ".tif");
        piece = getImageID();
        getDimensions(width, height, c, z, t);
        if (KINDS[k] == "scores") {
            c = nSlices;
            z = 1;
            t = 1;
        }
        if (n == 0) {
            Z = z * inTurn; // one of both is 1, as of the frames
            newImage("joined", "" + bitDepth() + "-bit black", width, height, c, Z, t * floor(count / inTurn));
            output = getImageID();
        }
        for (p = 0; p < c * z * t; p++) {
            selectImage(piece);
            if (nSlices > 1)
                setSlice(p + 1);
            run("Select All");
            run("Copy");
            selectImage(output);
            slice = n % inTurn + floor(p / c) % z;
            frame = floor(n / inTurn) + floor(p / (c * z));
            setSlice((frame * Z + slice) * c + p % c + 1);
            run("Paste");
        }
        selectImage(piece);
        close();
    }
    selectImage(output);
    run("Select None");
    setSlice(1);
}

// Sets the contrast from the values, names the channels, and shows the middle plane of a stack
function named(names) {
    list = split(names, ",");
    getDimensions(width, height, channels, slices, frames);
    for (c = 1; c <= channels; c++) {
        if (channels > 1)
            Stack.setChannel(c);
        if (list.length == channels && slices * frames == 1) // otherwise the plane numbers of DeepImageJ are kept
            run("Set Label...", "label=[" + list[c - 1] + "]");
        resetMinAndMax();
    }
    if (channels > 1)
        Stack.setChannel(1);
    if (slices > 1)
        Stack.setSlice(floor((slices + 1) / 2));
}

// Runs another macro of this folder; an error there also ends this one
function other(name, argument) {
    result = runMacro(HERE + name, argument);
    if (result == "[aborted]")
        exit();
    return result;
}

// The folder of this macro and of the bundle
function home() {
    file = getInfo("macro.filepath");
    folder = getDirectory("imagej") + "models/" + ID;
    if (lengthOf(file) > 0 && File.exists(File.getParent(file) + "/rdf.yaml"))
        folder = File.getParent(file);
    folder = slashed(folder);
    return folder + "/";
}

// A number of things in words
function amount(number, noun) {
    if (number != 1)
        noun = noun + "s";
    return "" + number + " " + noun;
}

// A new folder for pieces of the image; DeepImageJ cuts file names at a space
function folderOfPieces() {
    pieces = slashed(getDirectory("temp"));
    if (!endsWith(pieces, "/"))
        pieces = pieces + "/";
    pieces = pieces + "zooready-" + ID + "-" + d2s(getTime(), 0) + "-" + floor(random * 1000000) + "/";
    File.makeDirectory(pieces);
    return pieces;
}

function removeAll(pieces) {
    list = getFileList(pieces);
    for (n = 0; n < list.length; n++)
        gone = File.delete(pieces + list[n]);
    gone = File.delete(pieces);
}

// Windows accepts forward slashes in paths, and DeepImageJ accepts nothing else
function slashed(path) {
    return replace(path, "\\\\", "/");
}
