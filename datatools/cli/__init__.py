"""The command line: one thin file per command. Parse, call one public function, print."""
