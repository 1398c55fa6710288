/** Where a provider's logo is served (http-api §3). */
export const logoUrl = (publicUrl: string, provider: string): string => `${publicUrl}/images/template-logos/${provider}.svg`;
