DELETE FROM membership WHERE record = ?1
