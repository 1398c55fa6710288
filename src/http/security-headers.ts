/** http-api §1.11. No Cross-Origin-Opener-Policy: it would cut popups off from their opener (frontend contract §1.9). */
export const securityHeaders = {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'SAMEORIGIN',
    'referrer-policy': 'strict-origin',
    'x-dns-prefetch-control': 'off',
    'x-download-options': 'noopen',
    'x-xss-protection': '0',
    // For JSON; pages bring their own.
    'content-security-policy': "default-src 'none'; frame-ancestors 'self'",
    'strict-transport-security': 'max-age=5184000; includeSubDomains',
};
