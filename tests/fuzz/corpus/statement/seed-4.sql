SELECT ':x', "a", `a`, [a] FROM t -- :c
WHERE 1