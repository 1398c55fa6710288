/** The providers whose token calls no declared key describes (provider-catalog §11), by slug. */
import { agiloft, fanvue, followUpBoss, walmart, workday } from './basic-clients.ts';
import { absorb, braintree, clover, coros, jobber, tikTokAccounts, tikTokAds, tikTokPersonal } from './body-clients.ts';
import { bullhorn } from './bullhorn.ts';
import { figma } from './figma.ts';
import { facebook, instagram, threads } from './meta.ts';
import { adminConsent, sharePoint, teamsBot } from './microsoft.ts';
import { mercury, publicClient } from './public-clients.ts';
import { revolut } from './revolut.ts';
import { salesforce } from './salesforce.ts';
import { sentry } from './sentry.ts';
import { shopline } from './shopline.ts';
import { slack } from './slack.ts';
import type { Special } from './special.ts';
import { stripeApp } from './stripe-app.ts';

export const specials: Readonly<Record<string, Special>> = {
    salesforce,
    'salesforce-cc': salesforce,
    'salesforce-sandbox': salesforce,
    'salesforce-experience-cloud': salesforce,
    'salesforce-jwt': salesforce,
    slack,
    'one-drive': sharePoint,
    'sharepoint-online': sharePoint,
    'microsoft-teams-bot': teamsBot,
    'microsoft-admin': adminConsent,
    facebook,
    instagram,
    threads,
    figma,
    figjam: figma,
    'stripe-app': stripeApp,
    'stripe-app-sandbox': stripeApp,
    'workday-oauth': workday,
    bullhorn,
    braintree,
    'braintree-sandbox': braintree,
    clover,
    coros,
    'coros-sandbox': coros,
    jobber,
    followupboss: followUpBoss,
    fanvue,
    mercury,
    heygen: publicClient,
    'posthog-oauth': publicClient,
    'attio-mcp': publicClient,
    agiloft,
    'absorb-lms': absorb,
    'revolut-business': revolut,
    'sentry-oauth': sentry,
    'shopline-oauth': shopline,
    'tiktok-ads': tikTokAds,
    'tiktok-accounts': tikTokAccounts,
    'tiktok-personal': tikTokPersonal,
    walmart,
};
