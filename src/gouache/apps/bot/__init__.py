"""A bot in a chat: orders from people there, pictures back. The studio's thread paints them."""
