"""The whole job in one run, `otoc demo`: from recordings to live labels and a report of them."""
