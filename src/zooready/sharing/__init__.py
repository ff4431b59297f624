"""Models handed from one place to another: other people's bundles brought to Fiji, and one page that runs a bundle in a browser.

In: a bundle. Out: another one with what was measured on the way, or an HTML file. Nothing of a stranger's runs in this process.

May import: processes, nets, images, wasm, formats, bundle, exporting, consumers, prediction
"""
