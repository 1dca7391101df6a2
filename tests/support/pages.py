"""What tests of the page do to it."""


def choose(page, name, data, mime_type="image/png"):
    page.set_input_files("#file", {"name": name, "mimeType": mime_type, "buffer": data})
