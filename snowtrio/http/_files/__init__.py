"""Files as responses: a single one, or a folder of them.

``_file_response`` answers with one, in whole or in ranges (``_ranges``), if the conditions of the
request (``_conditions``) ask for it; ``_folder`` finds it by the path of the request, and never
outside. ``_media_types`` guesses what it is.
"""

from ._file_response import check_conditions, file_response, whole_file
from ._folder import Folder

__all__ = ["Folder", "check_conditions", "file_response", "whole_file"]
