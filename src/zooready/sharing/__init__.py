"""Models handed from one place to another: other people's bundles brought to Fiji, ours to the zoo, and a page for a browser.

In: a bundle. Out: another one with what was measured on the way, an HTML file, a draft in the zoo, or a folder for Hugging Face. Nothing of
a stranger's runs in this process, and nothing is sent unasked.

May import: processes, nets, images, wasm, formats, bundle, exporting, consumers, comparison, prediction
"""
