"""What people and programs are told, in words and as documents: alike on screen, page and API."""
