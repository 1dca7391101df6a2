"""What people would write instead, one file each, as the documentation of each library says.

Every one answers `POST /classify` with `{"predictions": [{"class_index": …, "probability": …}]}`,
five of them, and resizes with Pillow as the gateway does.
"""
