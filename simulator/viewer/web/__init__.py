"""The window in a browser: `dreamlane serve`."""
