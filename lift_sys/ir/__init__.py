"""The intermediate representation: its types, its wire schema, its lint and its rendering."""
