"""What all other rooms are built on, and what needs none of them."""
