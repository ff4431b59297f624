// Runs ${name} on the open image, or on its sample image if none is open, and shows the outputs.
// Needs Fiji with the update site DeepImageJ. Written by zooready install from export/fiji/run_bundle.ijm.
// Without a screen: the argument "image|folder" runs a file and writes its results into the folder.

var ID = "${id}";
var SAMPLE = "${sample}";
var OUTPUTS = newArray(${outputs});
var KINDS = newArray(${kinds}); // image, labels or scores
var NAMES = newArray(${names}); // of each output's channels
var CHANNELS = ${channels}; // of the input
var RANGE = "${range}"; // pixel sizes in micrometres that the network was trained for
var LIMIT = 50331648; // elements; DeepImageJ hangs on larger images
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
    if (warning != "")
        showMessageWithCancel("${name}", warning + "\nContinue?");
    out = slashed(getDirectory("temp"));
    out = out + "zooready-" + ID + "-" + d2s(getTime(), 0) + "/";
    File.makeDirectory(out);
    run("Duplicate...", "title=image duplicate");
    saveAs("Tiff", out + "image.tif");
    close();
    through(out + "image.tif", out);
    for (k = 0; k < OUTPUTS.length; k++) {
        open(out + "image_" + OUTPUTS[k] + ".tif");
        rename(title + " " + OUTPUTS[k]);
        calibrate(image);
        if (KINDS[k] == "scores") {
            other("scores_to_table.ijm", NAMES[k]);
            close();
        } else
            named(NAMES[k]);
        if (KINDS[k] == "labels")
            other("labels_to_rois.ijm", "");
    }
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
    stem = File.getNameWithoutExtension(path);
    if (indexOf(stem, " ") >= 0) { // DeepImageJ cuts file names at a space
        stem = replace(stem, " ", "_");
        path = out + stem + ".tif";
        saveAs("Tiff", path);
    }
    through(path, out);
    for (k = 0; k < OUTPUTS.length; k++) {
        written = out + stem + "_" + OUTPUTS[k];
        if (KINDS[k] != "image") {
            open(written + ".tif");
            if (KINDS[k] == "scores") {
                names = "" + NAMES[k] + "|" + written + ".csv";
                other("scores_to_table.ijm", names);
            } else {
                calibrate(image);
                other("labels_to_rois.ijm", "overlay");
                saveAs("Tiff", written + "-outlined.tif");
            }
            close();
        }
    }
    setBatchMode(false);
}

// Runs DeepImageJ; success is judged by the files that it writes, because it reports no errors to a macro
function through(path, out) {
    run("DeepImageJ Run", "model_path=[" + HERE + "] input_path=[" + path + "] output_folder=[" + out + "] display_output=null");
    stem = File.getNameWithoutExtension(path);
    for (k = 0; k < OUTPUTS.length; k++)
        if (!File.exists(out + stem + "_" + OUTPUTS[k] + ".tif"))
            exit("DeepImageJ wrote no output '" + OUTPUTS[k] + "': see Window > Console for the reason.");
}

// Ends the macro if the image cannot be used; returns a warning if results may be poor
function check() {
    getDimensions(width, height, channels, slices, frames);
    if (bitDepth() == 24)
        channels = 3;
    if (width * height * channels * slices * frames > LIMIT)
        exit("This image has " + width * height * channels * slices * frames + " elements, but DeepImageJ hangs above " + LIMIT
            + ": use zooready predict in a terminal, or crop it.");
    if (width < 2 || height < 2)
        exit("This image is " + width + " x " + height + ", but DeepImageJ takes no images that are one pixel wide or high: use zooready predict.");
    if (channels != CHANNELS)
        exit("${name} takes " + CHANNELS + " channel(s), but this image has " + channels + ": use Image > Duplicate to select the right ones.");
    if (RANGE == "")
        return "";
    warning = other("check_pixel_size.ijm", RANGE); // a function cannot return another function's value directly
    return warning;
}

function calibrate(image) {
    output = getImageID();
    selectImage(image);
    getVoxelSize(width, height, depth, unit);
    selectImage(output);
    getDimensions(x, y, channels, slices, frames);
    if (x > 1 || y > 1)
        setVoxelSize(width, height, depth, unit);
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

// Windows accepts forward slashes in paths, and DeepImageJ accepts nothing else
function slashed(path) {
    return replace(path, "\\\\", "/");
}
