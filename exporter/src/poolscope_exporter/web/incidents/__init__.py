"""Show the incidents: in the API, as a page, as a line of JSON and as a picture."""
