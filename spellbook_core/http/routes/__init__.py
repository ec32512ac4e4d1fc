"""The API's routes: what a program may ask of a workspace over HTTP."""
