// Runs ${name} on the open image, or on its own sample if none is open, and shows what comes out.
// Needs Fiji with the update site DeepImageJ. Written by zooready install from export/fiji/run_bundle.ijm.
// Without a screen: the argument "image|folder" runs a file and writes its results into the folder.

var ID = "${id}";
var SAMPLE = "${sample}";
var OUTPUTS = newArray(${outputs});
var KINDS = newArray(${kinds}); // image, labels or scores
var NAMES = newArray(${names}); // of each output's channels
var CHANNELS = ${channels}; // of the input
var RANGE = "${range}"; // pixel sizes in micrometres that it was made for
var LIMIT = 50331648; // elements; DeepImageJ never returns from larger images
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
    told = check();
    if (told != "")
        showMessageWithCancel("${name}", told + "\nGo on?");
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
    told = check();
    if (told != "")
        print(told);
    stem = File.getNameWithoutExtension(path);
    if (indexOf(stem, " ") >= 0) { // DeepImageJ cuts names at a blank
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
                asked = "" + NAMES[k] + "|" + written + ".csv";
                other("scores_to_table.ijm", asked);
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

// DeepImageJ itself; judged by the files that it writes, since it reports no errors to a macro
function through(path, out) {
    run("DeepImageJ Run", "model_path=[" + HERE + "] input_path=[" + path + "] output_folder=[" + out + "] display_output=null");
    stem = File.getNameWithoutExtension(path);
    for (k = 0; k < OUTPUTS.length; k++)
        if (!File.exists(out + stem + "_" + OUTPUTS[k] + ".tif"))
            exit("DeepImageJ wrote no output '" + OUTPUTS[k] + "': Window > Console has its reasons.");
}

// What stands in the way ends the macro; what is only doubtful comes back as a sentence
function check() {
    getDimensions(width, height, channels, slices, frames);
    if (bitDepth() == 24)
        channels = 3;
    if (width * height * channels * slices * frames > LIMIT)
        exit("This image has " + width * height * channels * slices * frames + " elements, and DeepImageJ hangs above " + LIMIT
            + ": use zooready predict in a terminal, or crop it.");
    if (width < 2 || height < 2)
        exit("This image is " + width + " x " + height + ", and DeepImageJ takes no lines and single pixels: use zooready predict.");
    if (channels != CHANNELS)
        exit("${name} takes " + CHANNELS + " channel(s), and this image has " + channels + ": use Image > Duplicate to take the right ones.");
    if (RANGE == "")
        return "";
    told = other("check_pixel_size.ijm", RANGE); // a function cannot return what another one returns
    return told;
}

function calibrate(image) {
    here = getImageID();
    selectImage(image);
    getVoxelSize(width, height, depth, unit);
    selectImage(here);
    getDimensions(x, y, channels, slices, frames);
    if (x > 1 || y > 1)
        setVoxelSize(width, height, depth, unit);
}

// An image as people expect it: its contrast by its values, its channels by their names, a stack as a stack
function named(names) {
    list = split(names, ",");
    getDimensions(width, height, channels, slices, frames);
    for (c = 1; c <= channels; c++) {
        if (channels > 1)
            Stack.setChannel(c);
        if (list.length == channels && slices * frames == 1) // else DeepImageJ's numbers of the planes stay
            run("Set Label...", "label=[" + list[c - 1] + "]");
        resetMinAndMax();
    }
    if (channels > 1)
        Stack.setChannel(1);
    if (slices > 1)
        Stack.setSlice(floor((slices + 1) / 2));
}

// Another macro of this folder; its end by an error is the end of this one as well
function other(name, argument) {
    told = runMacro(HERE + name, argument);
    if (told == "[aborted]")
        exit();
    return told;
}

// The folder of this macro, which is also that of the bundle
function home() {
    file = getInfo("macro.filepath");
    folder = getDirectory("imagej") + "models/" + ID;
    if (lengthOf(file) > 0 && File.exists(File.getParent(file) + "/rdf.yaml"))
        folder = File.getParent(file);
    folder = slashed(folder);
    return folder + "/";
}

// Windows too takes these in paths, and DeepImageJ takes no others
function slashed(path) {
    return replace(path, "\\\\", "/");
}
